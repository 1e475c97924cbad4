"""Which collections a server has, asked of the server itself, custom resources included."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE
from anomaly_operator.devcluster.apiclient.resources import Resource

NEEDED_VERBS = {"list", "watch", "delete"}


async def discover(client: ApiClient) -> list[Resource]:
    """Collections that can be listed, watched and deleted from, in their preferred version."""
    found: list[Resource] = []
    paths = [("", "v1", "/api/v1")]
    for group in (await client.request("GET", "/apis"))["groups"]:
        version = group["preferredVersion"]["version"]
        paths.append((group["name"], version, f"/apis/{group['name']}/{version}"))
    for group_name, version, path in paths:
        try:
            answer = await client.request("GET", path)
        except TROUBLE:
            continue  # a group that has just gone, or whose server is away, is looked at next time
        for entry in answer.get("resources") or ():
            if "/" in entry["name"] or not set(entry.get("verbs") or ()) >= NEEDED_VERBS:
                continue
            place = (entry.get("group") or group_name, entry.get("version") or version)
            names = (entry["name"], entry["kind"])
            found.append(Resource(*place, *names, namespaced=entry["namespaced"]))
    # Events are served by two groups; one copy of them is enough.
    return [each for each in found if each[:3] != ("events.k8s.io", "v1", "events")]
