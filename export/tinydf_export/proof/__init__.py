"""Exported model -> does it give what its checkpoint gives?"""
