"""The API: custom resources as pydantic models, and what is generated from them."""
