"""The doors to people and to other apps. The tool loop will live here too."""
