"""The DNS, asked (RFC 1035, 6891). dnspython makes and reads the messages; this module is its only importer outside the lab."""
