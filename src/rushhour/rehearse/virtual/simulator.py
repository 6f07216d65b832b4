"""The simulated providers of a large crowd: the chat API takes direct calls."""

from __future__ import annotations

from collections.abc import Awaitable

from rushhour.rehearse.virtual.direct_surface import DirectChatSurface, DirectQuota, DirectRequest
from rushhour.simulator import Simulator
from rushhour.simulator.answering import Answerer
from rushhour.simulator.dispatcher import Dispatcher
from rushhour.simulator.embeddings import Embeddings
from rushhour.simulator.exchange import Reply, Request, Surface
from rushhour.simulator.paths import Paths
from rushhour.simulator.pinecone import Pinecone
from rushhour.simulator.pinecone_project import Project
from rushhour.simulator.quota import Quota
from rushhour.simulator.vectors import TextVectors


class DirectSimulator(Simulator):
    """`Simulator`, for calls in this process only."""

    def handle(self, request: Request) -> Awaitable[Reply]:
        """Serve one call; whoever delivers the reply closes it."""
        if isinstance(request, DirectRequest):  # nothing to resolve
            return self._providers.handle(request)
        return super().handle(request)

    def open(self) -> None:
        """Make the providers that a crowd needs."""
        profile = self.profile
        chat = DirectQuota(profile.chat, profile.organization, profile.keys)
        surfaces: list[Surface] = [
            Embeddings(
                profile.embeddings, Quota(profile.embeddings, profile.organization, profile.keys), TextVectors()
            ),
            DirectChatSurface(profile.chat, chat, Answerer()),
            Pinecone(Project(profile.vectors), profile.keys),
        ]
        self._paths = Paths(surfaces)
        self._dispatcher = Dispatcher(surfaces, self.seed, profile)
        self._mark()
