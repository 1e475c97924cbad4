"""The kubelet's HTTP endpoint of a stand-in node: statistics, metrics, logs."""
