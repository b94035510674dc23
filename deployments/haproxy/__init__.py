"""The program that stands between Ray Serve and HAProxy and amends the configuration."""
