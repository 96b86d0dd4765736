"""Ids that Connect makes for clients."""

import hashlib

ID_LETTERS = 10  # 47 bits
UNMISTAKABLE = "23456789bcdfghjkmnpqrstvwxz"  # neither 0 and o, nor 1 and l


def client_id_for(command_id: str) -> str:
    """An id that a person can read out, the same one for the same request sent again. It says nothing of the client:
    ids stand in the clear in Temporal (PRODUCT.md section 6). Without vowels it is found by no search for a word."""
    number, letters = int.from_bytes(hashlib.sha256(command_id.encode()).digest()), ""
    while len(letters) < ID_LETTERS:
        number, letter = divmod(number, len(UNMISTAKABLE))
        letters += UNMISTAKABLE[letter]
    return f"{letters[: ID_LETTERS // 2]}-{letters[ID_LETTERS // 2 :]}"
