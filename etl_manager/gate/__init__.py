"""The acceptance gate before Phase 3: its prerequisites, the verdict, and whether a verdict may still be relied on."""
