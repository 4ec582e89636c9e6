"""Transactions, their stamps, sealing, and moments of the past."""
