"""The alternative: a sessions router as a team would paste it into its FastAPI backend.

It does what such routers do, without avoidable faults: useful indexes, one commit for each request, the devices' names
as the client sends them. No lock protects the limit. `python -m benchmarks.alternative` creates its tables.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer
from jose import JWTError, jwt
from pydantic import BaseModel, ConfigDict
from sqlalchemy import DateTime, ForeignKey, Index, String, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Query, Session, mapped_column, relationship, sessionmaker

SECRET_KEY = os.environ["JWT_SECRET_KEY"]
ALGORITHM = "HS256"
MAX_SESSIONS_PER_USER = 3
SESSION_LIFETIME = timedelta(days=30)

POOL_SIZE = int(os.environ.get("POOL_SIZE", "5"))
"""SQLAlchemy's default. More concurrent requests than this open and close a connection each time."""

engine = create_engine(os.environ["DATABASE_URL"], pool_size=POOL_SIZE)
SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="/auth/login")


class Base(DeclarativeBase):
    """The models' base class."""


class User(Base):
    """A user of the backend."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(255), unique=True, index=True)
    hashed_password: Mapped[str] = mapped_column(String(255))
    full_name: Mapped[str | None] = mapped_column(String(255))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    sessions: Mapped[list["UserSession"]] = relationship(back_populates="user")


class UserSession(Base):
    """A device that a user is signed in on."""

    __tablename__ = "user_sessions"
    __table_args__ = (Index("ix_user_sessions_user_id_is_active", "user_id", "is_active"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    device_fingerprint: Mapped[str | None] = mapped_column(String(255))
    device_name: Mapped[str | None] = mapped_column(String(255))
    device_type: Mapped[str | None] = mapped_column(String(50))
    browser: Mapped[str | None] = mapped_column(String(255))
    user_agent: Mapped[str | None] = mapped_column(String(512))
    ip_address: Mapped[str | None] = mapped_column(String(45))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    last_activity: Mapped[datetime] = mapped_column(DateTime(timezone=True), default=lambda: datetime.now(UTC))
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    user: Mapped[User] = relationship(back_populates="sessions")


class SessionCreate(BaseModel):
    """The client's description of its device."""

    device_fingerprint: str | None = None
    device_name: str | None = None
    device_type: str | None = None
    browser: str | None = None


class SessionResponse(BaseModel):
    """A session as its user sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    user_id: int
    device_name: str | None
    device_type: str | None
    browser: str | None
    ip_address: str | None
    created_at: datetime
    last_activity: datetime
    expires_at: datetime
    is_active: bool
    is_current: bool = False


def get_db() -> Iterator[Session]:
    """Yield a session of the ORM for one request."""
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


Database = Annotated[Session, Depends(get_db)]


def get_current_user(token: Annotated[str, Depends(oauth2_scheme)], db: Database) -> User:
    """Return the user of the token."""
    try:
        user_id = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM]).get("id")
    except JWTError as error:
        raise HTTPException(status_code=401, detail="Could not validate credentials") from error
    user = db.query(User).filter(User.id == user_id).first()
    if user is None or not user.is_active:
        raise HTTPException(status_code=401, detail="Could not validate credentials")
    return user


CurrentUser = Annotated[User, Depends(get_current_user)]


def get_current_session(request: Request, user: CurrentUser, db: Database) -> UserSession:
    """Return the user's session on the calling device, and write its activity."""
    now = datetime.now(UTC)
    session = (
        db.query(UserSession)
        .filter(
            UserSession.user_id == user.id,
            UserSession.is_active.is_(True),
            UserSession.expires_at > now,
            UserSession.user_agent == request.headers.get("user-agent"),
            UserSession.ip_address == (request.client.host if request.client else None),
        )
        .order_by(UserSession.last_activity.desc())
        .first()
    )
    if session is None:
        raise HTTPException(status_code=401, detail="Session has ended")
    session.last_activity = now
    db.commit()
    return session


CurrentSession = Annotated[UserSession, Depends(get_current_session)]
router = APIRouter(prefix="/sessions", tags=["sessions"])


@router.get("/current", response_model=SessionResponse)
def read_current_session(current: CurrentSession) -> UserSession:
    """Return the session that this call belongs to."""
    return current


@router.get("/my-sessions", response_model=list[SessionResponse])
def list_my_sessions(user: CurrentUser, current: CurrentSession, db: Database) -> list[SessionResponse]:
    """List the user's active sessions, the most recently active first."""
    active = active_sessions(db, user).order_by(UserSession.last_activity.desc()).all()
    answers = [SessionResponse.model_validate(session) for session in active]
    for answer in answers:
        answer.is_current = answer.id == current.id
    return answers


@router.post("/create", response_model=SessionResponse, status_code=201)
def create_session(data: SessionCreate, request: Request, user: CurrentUser, db: Database) -> UserSession:
    """Create a session. End the same device's older one, and the oldest ones above the limit."""
    address = request.client.host if request.client else None
    known = (
        active_sessions(db, user)
        .filter(UserSession.device_fingerprint == data.device_fingerprint, UserSession.ip_address == address)
        .first()
    )
    if known is not None:
        known.is_active = False
        db.flush()
    enforce_max_sessions(db, user)
    session = UserSession(
        user_id=user.id,
        **data.model_dump(),
        user_agent=request.headers.get("user-agent"),
        ip_address=address,
        expires_at=datetime.now(UTC) + SESSION_LIFETIME,
    )
    db.add(session)
    db.commit()
    db.refresh(session)
    return session


def active_sessions(db: Session, user: User) -> Query[UserSession]:
    """Return the query for a user's active sessions."""
    now = datetime.now(UTC)
    return db.query(UserSession).filter(
        UserSession.user_id == user.id, UserSession.is_active.is_(True), UserSession.expires_at > now
    )


def enforce_max_sessions(db: Session, user: User) -> None:
    """End the oldest sessions, so that one more is within the limit."""
    active = active_sessions(db, user).order_by(UserSession.created_at).all()
    for session in active[: max(len(active) + 1 - MAX_SESSIONS_PER_USER, 0)]:
        session.is_active = False


app = FastAPI(title="Backend")
app.include_router(router)

if __name__ == "__main__":
    Base.metadata.create_all(engine)
