"""From noise to latents: noise, samplers, walks, and the engine that runs many of them at once."""
