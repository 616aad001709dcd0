"""Tables of SaaS vendors, for scripts of the seed that do not list their own."""

from __future__ import annotations

from .sources.tables import Cursor, Table

# Stripe's cursor is called ``created_at`` where people see it and ``created`` on the wire (contract 4.3).
_STRIPE_CURSOR = [Cursor(field="created", field_type="integer", label="created_at", type="datetime")]
_STRIPE = (
    "Account",
    "BalanceTransaction",
    "Charge",
    "CreditNote",
    "Customer",
    "Dispute",
    "Invoice",
    "InvoiceItem",
    "Payout",
    "Price",
    "Product",
    "Refund",
    "Subscription",
)
_NO_CURSOR = {"Account", "CreditNote"}
_WEBHOOK_TABLES = {"Charge", "Customer", "Dispute", "Invoice", "Payout", "Price", "Product", "Refund", "Subscription"}
_COLUMNS = {"id": "text", "object": "text", "created": "integer", "livemode": "boolean", "metadata": "json"}


def tables(source_type: str) -> list[Table]:
    if source_type == "Stripe":
        return [_stripe(name) for name in _STRIPE] + [
            Table(
                "Discount",
                [{"name": name, "type": kind} for name, kind in _COLUMNS.items()],
                cursors=[],
                webhook_only=True,
                supports_webhooks=True,
            )
        ]
    return [
        Table(
            name,
            [{"name": "id", "type": "text"}, {"name": "created_at", "type": "timestamp"}],
            primary_key=["id"],
        )
        for name in _OTHERS.get(source_type, ("records",))
    ]


_OTHERS = {
    "Hubspot": ("contacts", "companies", "deals", "tickets", "quotes"),
    "Zendesk": ("tickets", "users", "organizations", "brands", "groups"),
    "Salesforce": ("Account", "Contact", "Lead", "Opportunity", "Campaign"),
    "Chargebee": ("Customers", "Invoices", "Orders", "Subscriptions", "Transactions"),
    "Github": ("issues", "pull_requests", "commits", "releases"),
}


def _stripe(name: str) -> Table:
    return Table(
        name,
        [{"name": column, "type": kind} for column, kind in _COLUMNS.items()],
        primary_key=["id"],
        rows=25,
        cursors=[] if name in _NO_CURSOR else _STRIPE_CURSOR,
        supports_webhooks=name in _WEBHOOK_TABLES,
    )
