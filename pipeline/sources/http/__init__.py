"""Requests to outside services: addresses are checked, answers are limited, downloads resume."""
