"""What there is, will be, holds, and can leave: status, forecast, verify, export."""
