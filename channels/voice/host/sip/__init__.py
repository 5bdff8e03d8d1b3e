"""As much of SIP (RFC 3261) as a host of calls needs: messages, transactions, dialogs, over UDP."""
