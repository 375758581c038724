"""Who may use the dashboard and the REST interface: people and tokens, made, removed and signed in."""

from __future__ import annotations

from datetime import timedelta

from dicomnode.audit.event import Event, Participant
from dicomnode.audit.people import attributes_changed, authenticated, left
from dicomnode.config import Settings
from dicomnode.domain.errors import DicomNodeError
from dicomnode.domain.role import Account, Role
from dicomnode.flow.asked.allowed import require_grantable, require_long, require_name, require_of_people, rights
from dicomnode.flow.audited.trail import open_trail, this_node
from dicomnode.store.database import Database
from dicomnode.store.web_people import WebPeople
from dicomnode.store.web_tokens import WebTokens


class Accounts:
    """People and tokens; `who` makes the changes.

    A change and its message in the audit trail belong together: what is refused, or cannot be recorded and has to be,
    is not done, and what is not done is not told.

    Parameters
    ----------
    grants_names
        Whether `who` may let others see who the patients are: over the network only somebody who sees it.
    """

    def __init__(self, db: Database, settings: Settings, who: Participant, *, grants_names: bool = True) -> None:
        self._db, self._settings, self._who, self._grants_names = db, settings, who, grants_names

    def add_person(self, name: str, passcode: str, role: Role, *, sees_names: bool) -> None:
        """Let a person sign in.

        Raises
        ------
        DicomNodeError
            The name is taken or none, the passcode is too short, the role is one of tokens, or `who` may not grant it.
        """
        require_name(name)
        require_grantable(sees_names, grants=self._grants_names)
        require_of_people(role)
        require_long(passcode)
        with self._db.transaction():
            WebPeople(self._db).add(name, passcode, role, sees_names=sees_names)
            self._record(attributes_changed(self._who, f"person {name} may sign in{rights(role, sees_names)}"))

    def change_person(self, name: str, role: Role, *, sees_names: bool) -> None:
        """Give a person other rights, from their next request on.

        Raises
        ------
        DicomNodeError
            There is none of that name, the role is one of tokens, or `who` may not grant it.
        """
        require_of_people(role)
        with self._db.transaction():
            now = next((one for one in WebPeople(self._db).all() if one.name == name), None)
            if now is None:
                raise DicomNodeError(f"person {name}: there is none of that name")
            require_grantable(sees_names and not now.sees_names, grants=self._grants_names)
            WebPeople(self._db).change(name, role, sees_names=sees_names)
            self._record(attributes_changed(self._who, f"person {name} is changed{rights(role, sees_names)}"))

    def change_passcode(self, name: str, old: str, new: str, *, session: str) -> bool:
        """Give a person another passcode and end their sessions but for this one; False if the old one is wrong.

        Raises
        ------
        DicomNodeError
            The new one is too short.
        """
        require_long(new)
        if WebPeople(self._db).proved(name, old) is None:
            return False
        with self._db.transaction():
            WebPeople(self._db).change_passcode(name, new, session=session)
            self._record(attributes_changed(self._who, f"person {name} has another passcode"))
        return True

    def remove_person(self, name: str) -> None:
        """Forget a person, whose sessions end at once.

        Raises
        ------
        DicomNodeError
            There is none of that name.
        """
        with self._db.transaction():
            if not WebPeople(self._db).remove(name):
                raise DicomNodeError(f"person {name}: there is none of that name")
            self._record(attributes_changed(self._who, f"person {name} is removed"))

    def add_token(self, name: str, role: Role, *, sees_names: bool, days: float = 0) -> str:
        """Make a token, which is shown this once; it is valid for so many days, 0: until it is revoked.

        Raises
        ------
        DicomNodeError
            The name is taken or none, or `who` may not grant this.
        """
        require_name(name)
        require_grantable(sees_names, grants=self._grants_names)
        with self._db.transaction():
            lasts = timedelta(days=days) if days else None
            token = WebTokens(self._db).add(name, role, sees_names=sees_names, lasts=lasts)
            self._record(attributes_changed(self._who, f"token {name} is made{rights(role, sees_names)}"))
        return token

    def revoke_token(self, name: str) -> None:
        """Forget a token, with which nobody gets in any more.

        Raises
        ------
        DicomNodeError
            There is none of that name.
        """
        with self._db.transaction():
            if not WebTokens(self._db).revoke(name):
                raise DicomNodeError(f"token {name}: there is none of that name")
            self._record(attributes_changed(self._who, f"token {name} is revoked"))

    def sign_in(self, name: str, passcode: str) -> tuple[Account, str] | None:
        """Begin a session of the person of that name; its secret. None if it is not they.

        Raises
        ------
        OutOfResources
            It cannot be recorded and has to be.
        """
        found = WebPeople(self._db).proved(name, passcode)
        self._record(authenticated(self._who, this_node(self._settings), known=found is not None))
        if found is None:
            return None
        with self._db.transaction():
            lasts = timedelta(hours=self._settings.web.session_hours)
            return found, WebPeople(self._db).begin(found.name, lasts)

    def sign_out(self, session: str) -> None:
        """End a session."""
        self._record(left(self._who, this_node(self._settings)))
        with self._db.transaction():
            WebPeople(self._db).end(session)

    def _record(self, event: Event) -> None:
        trail = open_trail(self._settings)
        if trail is not None:
            trail.record(event)
