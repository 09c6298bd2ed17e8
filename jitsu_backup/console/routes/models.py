"""Models: objects whose warehouse the console queries whenever one is saved."""

from jitsu_backup.console.client import api_path
from jitsu_backup.console.replies import RefusalKind, RefusedError
from jitsu_backup.console.routes.objects import ObjectRoute
from jitsu_backup.console.routes.protocol import Content
from jitsu_backup.model import Key, items_of, members_of


class ModelRoute(ObjectRoute):
    """An object like others, but the console can test its query without saving it [model/preview]."""

    async def check_update(self, key: Key, content: Content) -> None:
        """Raise RefusedError if the current warehouse cannot run the query, or the query lacks a column.

        [model/create-unknown-table, model/create-key-not-selected]
        """
        body = {**self.target.live[key].body, **content.body}
        asked = {name: body.get(name) for name in ("warehouseId", "query")}
        path = api_path(self.target.workspace_id, "models", "preview")
        answer = await self.target.console.write("POST", path, asked, repeatable=True)
        selected = {members_of(column).get("name") for column in items_of(members_of(answer).get("columns"))}
        needed = [
            *items_of(body.get("primaryKey")),
            members_of(body.get("cursor")).get("column"),
            body.get("deleteColumn"),
        ]
        lacking = [str(name) for name in needed if name is not None and name not in selected]
        if selected and lacking:
            raise RefusedError(RefusalKind.INVALID, f"the query does not select {', '.join(lacking)}")
