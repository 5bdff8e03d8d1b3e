"""Who may open a page that is read in a browser: holders of a key, which a browser may give as a password."""

from fastapi import Request
from starlette.responses import Response

from gateway.api.auth import Keyring, basic_password, unauthorized
from gateway.api.errors import error_response, gateway_error
from gateway.domain.errors import ErrorCode, GatewayError
from gateway.settings import KeyRole


async def refused(request: Request, role: KeyRole = KeyRole.CLIENT) -> Response | None:
    """The refusal of who gives no key with `role`, as x-api-key or Basic password; None for others."""
    keyring: Keyring = request.app.state.keyring
    headers = request.headers
    key = headers.get("x-api-key") or basic_password(headers.get("authorization"))
    principal = await keyring.find(key)
    if principal is None:
        error = unauthorized()
        return error_response(
            error.status,
            error.code.value,
            "send an API key in the header x-api-key, or as the password of HTTP Basic",
            headers={"WWW-Authenticate": 'Basic realm="API key as password", charset="UTF-8"'},
        )
    if not principal.may(role):
        return gateway_error(GatewayError(ErrorCode.FORBIDDEN, f"this needs a key with the role {role}"))
    return None
