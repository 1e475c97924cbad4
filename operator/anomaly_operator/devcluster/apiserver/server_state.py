"""Everything a request handler needs, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from anomaly_operator.devcluster.apiserver.authenticating import Authenticator
from anomaly_operator.devcluster.apiserver.authorizing import Authorizer
from anomaly_operator.devcluster.apiserver.catalog import Catalog
from anomaly_operator.devcluster.apiserver.node_proxy import NodeProxy
from anomaly_operator.devcluster.apiserver.registry import Registry
from anomaly_operator.devcluster.apiserver.storage import Store
from anomaly_operator.devcluster.apiserver.tokens import TokenMint


@dataclass(frozen=True, slots=True)
class ServerState:
    """The parts of a running server."""

    store: Store
    catalog: Catalog
    registry: Registry
    mint: TokenMint
    authenticator: Authenticator
    authorizer: Authorizer
    nodes: NodeProxy
