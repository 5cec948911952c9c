"""The laws of activations as tools: true values, measured errors, and checks for anybody's function."""
