"""The broker between the controller of a fleet and the workers on its hosts: Celery on RabbitMQ."""
