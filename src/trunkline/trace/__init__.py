"""One recorder of messages and events, and what is made of it: log lines, a ladder, a pcap file, the report of a failed test."""
