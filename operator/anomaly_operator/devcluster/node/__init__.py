"""The node agent: pods bound to a stand-in node run as processes of this machine."""
