"""The operator's console: pages rendered here, one stylesheet, small scripts for what changes while one looks.

Every page works without scripts. Nothing comes from another host, and nothing is served to whom has not signed in.
"""
