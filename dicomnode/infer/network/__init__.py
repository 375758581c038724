"""Runs ONNX networks over volumes of any size: sessions, tiles, blending, devices."""
