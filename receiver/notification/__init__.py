"""A notification of Argo CD is parsed into a sync; what the sync changed; Argo CD's own config."""
