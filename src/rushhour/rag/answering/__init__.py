"""From passages to an answer with checked citations, admitted by the queue and remembered."""
