"""pystac-client, with its requests going through our HTTP client."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pipeline.errors import LookalikeError, ServiceError
from pipeline.sources.http.client import Http


def items(http: Http, url: str, query: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items that answer a query, as GeoJSON.

    Args:
        http: Client.
        url: Of the STAC API.
        query: Arguments of `pystac_client.Client.search`.

    Raises:
        ServiceError: If the API refuses or fails, or the address is not that of a STAC API.
    """
    from pystac_client import Client
    from pystac_client.exceptions import APIError
    from pystac_client.stac_api_io import StacApiIO

    class OurIo(StacApiIO):
        """Sends pystac-client's requests through our client."""

        def request(
            self,
            href: str,
            method: str | None = None,
            headers: dict[str, str] | None = None,
            parameters: dict[str, Any] | None = None,
        ) -> str:
            """The text of a document."""
            verb = (method or "GET").upper()
            body = {"json": parameters} if verb == "POST" else {"params": parameters or {}}
            text: str = http.request(verb, href, headers=headers or {}, **body).text
            return text

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about catalogues that state no conformance
            client = Client.open(url, stac_io=OurIo(max_retries=None))
            search = client.search(**{key: value for key, value in query.items() if value})
            return list(search.items_as_dicts())
    except LookalikeError:
        raise
    except APIError as error:
        raise ServiceError(
            f"The catalogue says: {str(error)[:300]}", where=url, remedy="Check the collection"
        ) from error
    except Exception as error:
        # pystac raises any exception when a document is not what it should be.
        raise ServiceError(
            f"This is not a STAC API that can be searched ({type(error).__name__})",
            where=url,
            remedy="Try again later; for a catalogue of your own, check its address in "
            "LOOKALIKE_STAC",
        ) from error
