"""RULES: what a sign-in tells of its device: what rules may go by, and what people are shown."""

from collections.abc import Mapping

from session_service import addresses, devices
from session_service.config import Settings
from session_service.records import Client, Newcomer


def describe_sign_in(
    claimed: Mapping[str, str | None], client: Client, settings: Settings
) -> tuple[Newcomer, dict[str, str | None]]:
    """Return the device that signs in, and the columns of `sessions` that describe it.

    Args:
        claimed: what the client says of itself, the fields of `SessionCreate`: only ever shown, never gone by,
            except for the fingerprint, which cannot do harm beside the observed device and address.
        client: what was observed.
        settings: without `TRUSTED_PROXY_HOPS` a private peer's own word is shown for its address; what is not to be
            kept (`STORE_USER_AGENT`, `MASK_ADDRESSES`) is not in the answer.
    """
    device = devices.describe(
        client.user_agent,
        device_name=claimed.get("device_name"),
        device_type=claimed.get("device_type"),
        browser=claimed.get("browser"),
    )
    address, source = addresses.shown_address(client.address, claimed.get("ip_address"), settings.TRUSTED_PROXY_HOPS)
    newcomer = Newcomer(
        device_fingerprint=claimed.get("device_fingerprint") or None,
        device_key=device.key,
        network=addresses.network_of(client.address, masked=settings.MASK_ADDRESSES),
        is_recognised=device.names_software,
    )
    return newcomer, {
        "device_fingerprint": newcomer.device_fingerprint,
        "device_key": newcomer.device_key,
        "device_name": device.name,
        "device_type": device.type,
        "browser": device.browser,
        "os": device.os,
        "user_agent": client.user_agent if settings.STORE_USER_AGENT else None,
        "ip_address": addresses.mask(address) if settings.MASK_ADDRESSES else address,
        "ip_source": source,
        "network": newcomer.network,
    }
