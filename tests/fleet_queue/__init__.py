"""Workers on a real RabbitMQ: what is killed comes again, and nobody speaks for another host."""
