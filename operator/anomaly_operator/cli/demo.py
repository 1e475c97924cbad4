"""``anomaly demo``: the whole of it on this machine, with pods that really misbehave."""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

from anomaly_operator.devcluster.apiclient.calls import ApiError
from anomaly_operator.devcluster.demo.reporting import Report
from anomaly_operator.devcluster.demo.running import run_demo

NOT_CAUGHT = 1


@click.command("demo")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for everything the demo writes; kept. Unset: a temporary one, removed at the end.",
)
@click.option(
    "--exit-when-done",
    is_flag=True,
    help="End by itself: code 0 when every fault was caught in time, else 1.",
)
def command(*, data_dir: Path | None, exit_when_done: bool) -> None:
    """Run the whole thing on this machine: no cluster, no Docker."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="anomaly-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    report = Report()
    try:
        is_good = asyncio.run(_until_told(folder.resolve(), report, exit_when_done=exit_when_done))
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.end_progress()
        report.say("stopped; no process is left over")
        return
    except ApiError as error:
        report.end_progress()
        raise click.ClickException(f"the stand-in's API server refused: {error}") from None
    finally:
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if is_good else NOT_CAUGHT)


async def _until_told(folder: Path, report: Report, *, exit_when_done: bool) -> bool:
    """Run the demo; SIGTERM ends it as Ctrl-C does."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run_demo(folder, report, exit_when_done=exit_when_done)
