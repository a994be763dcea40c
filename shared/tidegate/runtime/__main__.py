"""`python -m tidegate.runtime HANDLER`: serve the ASGI application at HANDLER."""

from tidegate.runtime.start import main

if __name__ == "__main__":
    main()
