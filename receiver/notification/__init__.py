"""What Argo CD sends: parsed, judged, and made a sync; and how Argo CD is told to send it."""
