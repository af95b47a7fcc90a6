"""The bundled sample videos: data only, made by tools/make_demo_videos.py."""
