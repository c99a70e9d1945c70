"""Criteria that look at gradients at initialization; each is one file, written in torch."""
