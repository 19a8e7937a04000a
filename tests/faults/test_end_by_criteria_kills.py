"""`sessions end --where` is killed in the middle: whole batches have ended, each with its events, and it goes on."""

from contextlib import closing

from session_service.limits import END_BATCH
from tests.harness.commands import command_process
from tests.harness.processes import wait_until
from tests.harness.records import Records, faults_of_rows

SESSIONS = 40 * END_BATCH
PUT = f"""
    INSERT INTO sessions (id, user_id, device_key, device_name, device_type, browser, ip_source, network, created_at,
        last_activity, expires_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {SESSIONS})
    SELECT n, 1000000 + n, '', 'x', 'web', 'x', 'observed', '203.0.113.7/32', {{now}}, {{now}}, {{later}} FROM numbers
"""
OWNERS = "INSERT INTO session_owners SELECT user_id FROM sessions"
WORDS = ("end", "--where", "address=203.0.113.7", "--expected", str(SESSIONS), "--yes")


def put_sessions(records: Records, is_sqlite: bool) -> None:
    now = "CURRENT_TIMESTAMP || '.000000'" if is_sqlite else "now()"
    statement = PUT.format(now=now, later="'2100-01-01 00:00:00.000000'")
    records.run(statement if is_sqlite else statement.replace("SELECT n, 1000000 + n", "SELECT n, (1000000 + n)::text"))
    records.run(OWNERS)


def test_a_killed_command_leaves_whole_batches_and_the_next_one_ends_the_rest(database_url: str) -> None:
    ended = "SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL"
    told = "SELECT count(*), count(DISTINCT session_id) FROM session_events WHERE what = 'ended'"
    counted = "SELECT sum(sessions) FROM command_ends WHERE reason = 'admin'"
    with closing(Records(database_url)) as records:
        put_sessions(records, database_url.startswith("sqlite"))
        with command_process(database_url, *WORDS) as process:
            wait_until(lambda: records.run(ended)[0][0] > 0, "a batch has ended")
        assert process.returncode == -9, "it was done before it was killed"
        ((number,),), ((events, sessions),), ((ends,),) = (records.run(one) for one in (ended, told, counted))

        assert 0 < number < SESSIONS
        assert number % END_BATCH == 0
        assert (events, sessions, ends) == (number, number, number)

        with command_process(database_url, *WORDS) as process:
            output, _ = process.communicate(timeout=120)

        assert output.decode().splitlines()[-1] == f"sessions ended: {SESSIONS - number}"
        assert records.run(told) == [(SESSIONS, SESSIONS)]
        assert records.run(counted) == [(SESSIONS,)]
        assert faults_of_rows(records.rows()) == []
