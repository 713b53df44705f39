"""The lab's cluster on loopback, for programs of the machine itself. Needs sockets."""
