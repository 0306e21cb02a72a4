"""A consumer group in memory: who owns which partition, and who is to own it next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scanner.ports import Place


class Member:
    """Somebody in a group; only its identity and its wishes count."""

    def __init__(self, places: Iterable[Place]) -> None:
        self.places = frozenset(places)


class Group:
    """Cooperative and sticky, as on Kafka: a rebalance moves as few partitions as it can, one owner at a time.

    join / leave ──▶ plan changes ──▶ old owner polls and releases ──▶ new owner polls and takes
    """

    def __init__(self) -> None:
        self.committed: dict[Place, int] = {}
        self._members: list[Member] = []
        self._plan: dict[Place, Member] = {}
        self._owners: dict[Place, Member] = {}
        self._ever_read: set[Place] = set()

    def join(self, places: Iterable[Place]) -> Member:
        member = Member(places)
        self._members.append(member)
        self._ever_read |= member.places
        self._balance()
        return member

    def leave(self, member: Member) -> None:
        if member in self._members:
            self._members.remove(member)
            self._owners = {place: owner for place, owner in self._owners.items() if owner is not member}
            self._balance()

    def reads(self, place: Place) -> bool:
        """Whether this group has ever asked for the place: what it has not committed is kept for it."""
        return place in self._ever_read

    def owned(self, member: Member) -> set[Place]:
        return {place for place, owner in self._owners.items() if owner is member}

    def leaving(self, member: Member) -> list[Place]:
        """What the member owns and is to release."""
        return sorted(place for place in self.owned(member) if self._plan.get(place) is not member)

    def release(self, member: Member, places: Sequence[Place]) -> None:
        for place in places:
            if self._owners.get(place) is member:
                del self._owners[place]

    def take(self, member: Member) -> list[Place]:
        """Gives the member what is planned for it and free."""
        free = sorted(place for place, to in self._plan.items() if to is member and place not in self._owners)
        self._owners |= dict.fromkeys(free, member)
        return free

    def unsettled(self, member: Member) -> bool:
        """Whether the member has something to release or to take."""
        free = any(to is member and place not in self._owners for place, to in self._plan.items())
        return free or bool(self.leaving(member))

    def _balance(self) -> None:
        """Topic by topic: everybody keeps up to a fair share of what the last plan gave; the rest goes to those with
        least."""
        places = sorted({place for member in self._members for place in member.places})
        plan: dict[Place, Member] = {}
        for topic in sorted({name for name, _ in places}):
            plan |= self._shared([place for place in places if place[0] == topic])
        self._plan = plan

    def _shared(self, places: Sequence[Place]) -> dict[Place, Member]:
        share, extra = divmod(len(places), len(self._members))
        plan: dict[Place, Member] = {}
        load = dict.fromkeys(self._members, 0)
        for place in places:
            member = self._plan.get(place)
            if member is None or member not in load or place not in member.places:
                continue
            if load[member] < share + (extra > 0):
                extra -= load[member] == share  # one of the few who may have one more
                plan[place] = member
                load[member] += 1
        for place in places:
            if place not in plan:
                willing = [member for member in self._members if place in member.places]
                plan[place] = min(willing, key=load.__getitem__)
                load[plan[place]] += 1
        return plan
