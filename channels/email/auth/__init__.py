"""Who sent a mail: SPF, DKIM, DMARC and ARC, or what a server we trust says of them."""
