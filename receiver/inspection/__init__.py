"""Why a rule matched or not, what a rule would do, and a rule run once without a ledger."""
