"""The bundled model and its sample videos: data only, made by the scripts in tools/."""
