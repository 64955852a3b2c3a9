"""What happens in a browser: security keys in Chromium, with WebDriver's virtual authenticators."""
