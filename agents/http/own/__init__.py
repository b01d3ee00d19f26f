"""The routes below ``/api``, for the page and for apps that want more than OpenAI's shapes."""
