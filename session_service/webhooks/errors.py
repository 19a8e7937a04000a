"""How a call fails. The words go to operators: they name no address, and contain nothing that the receiver sent."""


class CallFailed(Exception):
    """There was no complete answer."""


class AddressRefused(CallFailed):
    """The endpoint's name leads to an address that may not be called."""

    def __init__(self) -> None:
        super().__init__("the name has an address that is not public (allow_private permits it)")
