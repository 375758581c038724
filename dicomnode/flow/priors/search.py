"""Fetches earlier studies for jobs whose rules compare, and has the analysis repeated when they have come."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from dicomnode.config import Settings
from dicomnode.domain.errors import DeliveryError, OutOfResources, PeerUnreachable, Unsuitable
from dicomnode.domain.model import ModelSpec
from dicomnode.domain.network import Peer
from dicomnode.domain.rule import Rule
from dicomnode.domain.study import Study
from dicomnode.flow.priors.archive import Archive
from dicomnode.flow.priors.choice import identity_of, study_day
from dicomnode.flow.priors.fetch import Fetcher
from dicomnode.flow.priors.hand_over import HandOver
from dicomnode.flow.priors.listing import counted, in_words
from dicomnode.flow.priors.scratch import ScratchArea
from dicomnode.infer.bundle.load import find_bundles
from dicomnode.store.database import Database
from dicomnode.store.files import Files
from dicomnode.store.priors import Latest, Search, Searches
from dicomnode.store.scratch import Scratch
from dicomnode.store.studies import Studies

_log = structlog.get_logger(__name__)


class Priors:
    """What one source is asked for. One object for each thread, since a connection has one owner."""

    def __init__(
        self,
        db: Database,
        files: Files,
        settings: Settings,
        source: str,
        area: ScratchArea,
        archive: Callable[[Peer], Archive],
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._db = db
        self._settings = settings
        self._source = source
        self._area = area
        self._archive = archive
        self._stopped = stopped
        self._searches = Searches(db, files)
        self._studies = Studies(db, files)
        self._rows = Scratch(db, files)
        self._hand_over = HandOver(db, files, source)
        with db.transaction():
            self._rows.idle(source)

    def run_once(self) -> bool:
        """Do one step of one search, if one is due; whether there was."""
        if self._searches.due(self._source) is None:
            return False
        with self._db.transaction():
            search = self._searches.due(self._source)
            if search is None:
                return False
            latest = self._searches.latest(search.job_id)
            # Should this step kill its process, the next one comes later, as after any failure.
            wait = self._settings.deliver.backoff.delay(search.failures + 1)
            self._searches.put_off(search, search.reason, self._db.clock() + wait, failed=False)
        log = _log.bind(study_instance_uid=search.study_instance_uid, rule=search.rule, source=self._source)
        study, found = self._studies.load(search.study_instance_uid), self._recipe(search)
        if not latest.current or study is None or found is None:
            self._leave(search, "cancelled", "rule, model or study changed since")
        elif search.fetched:
            self._hand_over.one(search, latest, study, *found, log)
        else:
            self._fetch(search, latest, study, *found, log)
        return True

    def _fetch(
        self, search: Search, latest: Latest, study: Study, rule: Rule, spec: ModelSpec,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:  # fmt: skip
        peer, day = self._settings.peer(self._source), study_day(study)
        if peer is None or rule.priors is None or day is None:
            self._give_up(search, "the study has no date" if day is None else f"no peer is named {self._source}", log)
            return
        fetcher = Fetcher(self._archive(peer), self._db, self._rows, self._source)
        try:
            given = [one for one in self._hand_over.given(latest) if one.files]
            known = {one.study_instance_uid: one.study_date for one in given if not one.remark}
            doubtful = {one.study_instance_uid for one in given if one.remark}
            patient_id = identity_of(study.series[0].header).patient_id
            listings, left_out = fetcher.look(patient_id, day, rule.priors, known, doubtful, rule, spec)
            with self._db.transaction():
                self._searches.choose(search, [one.study_instance_uid for one in listings], left_out)
            lacks = fetcher.bring(listings, lambda: not self._stopped())
            # What an archive has refused twice it will not send; images are worth the whole time.
            pressing = [one for one in lacks if one.image or not (search.failures and search.reason)]
            if pressing:
                raise DeliveryError(in_words(pressing))
        except Unsuitable as error:
            self._give_up(search, str(error), log)
        except (DeliveryError, OutOfResources) as error:
            self._again(search, error, log)
        else:
            if not self._stopped():
                words = counted(len(listings))
                self._leave(search, "fetched", f"{words}, but {in_words(lacks)}" if lacks else words)
                log.info("priors fetched", studies=len(listings))

    def _recipe(self, search: Search) -> tuple[Rule, ModelSpec] | None:
        rule = next((one for one in self._settings.rules if one.name == search.rule and one.priors), None)
        bundles, _broken = find_bundles(self._settings.models.folder)
        spec = bundles.get(rule.model) if rule else None
        return None if rule is None or spec is None else (rule, spec)

    def _again(self, search: Search, error: Exception, log: structlog.typing.FilteringBoundLogger) -> None:
        now, reason = self._db.clock(), str(error)
        if now >= search.give_up_at:
            # What has come whole is worth comparing with, whatever else lacks.
            whole = any(self._rows.load(uid).series for uid in self._searches.chosen(search))
            self._give_up(search, reason, log, "fetched" if whole else "failed")
            return
        until = now + self._settings.deliver.backoff.delay(search.failures + 1)
        with self._db.transaction():
            self._searches.put_off(search, reason, min(until, search.give_up_at), failed=True)
            if isinstance(error, PeerUnreachable):
                self._searches.rest(self._source, until)
        log.warning("prior not yet available", reason=reason)

    def _give_up(
        self, search: Search, reason: str, log: structlog.typing.FilteringBoundLogger, state: str = "failed"
    ) -> None:
        self._leave(search, state, f"prior not available: {reason}", incomplete=state == "fetched")
        log.warning("prior not available", reason=reason)

    def _leave(self, search: Search, state: str, reason: str, *, incomplete: bool = False) -> None:
        with self._db.transaction():
            self._searches.leave(search, state, reason, incomplete=incomplete)
