-- Lists of one status are found, not searched for: what waits is little beside what is over.

CREATE INDEX conversations_of_status ON conversations (organization_id, status, created_at DESC, id DESC);
CREATE INDEX handoffs_of_status ON handoffs (organization_id, status, created_at DESC, id DESC);
CREATE INDEX approvals_of_status ON approvals (organization_id, status, created_at, id);
