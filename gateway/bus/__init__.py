"""The queues behind the port `Bus`: RabbitMQ, or the outbox table itself when everything is one process."""
