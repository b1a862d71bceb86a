"""Fast paths of layers and losses beside their plain formulations; `dispatch` alone chooses."""
