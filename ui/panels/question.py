"""A question, as a card over the window: it blocks nothing, names numbers, and Escape is the safe answer.

Law: one question at a time; a new one replaces an unanswered one, which then counts as refused. The safe
answer has the focus, so that neither Enter nor Space can do harm by themselves.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QLineEdit, QPushButton, QVBoxLayout, QWidget

from ui import theme
from ui.panels.pieces import Text, button, click_focused, next_inside, set_property
from ui.present.questions import Question

WIDTH_PX = 520


class QuestionCard(QFrame):
    """`answered(question key, choice key)`; the choice is empty for the safe answer."""

    answered = Signal(str, str)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.question: Question | None = None
        self._returns_to: QWidget | None = None
        self.title = Text("Question")
        self.title.setWordWrap(True)
        self.lines = Text("Consequences")
        self.lines.setWordWrap(True)
        self.typed = QLineEdit()
        self.typed.setAccessibleName("Type to confirm")
        self.typed.textChanged.connect(lambda _text: self._gate())
        self.buttons: dict[str, QPushButton] = {}
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight)
        self._row.setSpacing(theme.SPACE)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(10)
        for part in (self.title, self.lines, self.typed):
            column.addWidget(part)
        column.addLayout(self._row)
        parent.installEventFilter(self)
        self.hide()

    def ask(self, question: Question) -> None:
        if self.question is not None and self.question.key != question.key:
            self._end("")
        if self.question is None:
            self._returns_to = self.window().focusWidget()
        fresh = self.question is None or self.question.choices != question.choices
        self.question = question
        self.refresh(question)
        if fresh:
            self._make_buttons(question)
            self.typed.clear()
            self.typed.setVisible(bool(question.typed))
            self.typed.setPlaceholderText(question.typed)
        self._gate()
        self.show()
        self.raise_()
        self._place()
        self.buttons[""].setFocus(Qt.FocusReason.PopupFocusReason)

    def refresh(self, question: Question) -> None:
        """The same question with the numbers of now."""
        self.question = question
        set_property(self, "tone", "danger" if question.danger else "")
        accent = theme.RED if question.danger else theme.TEXT
        self.title.say(question.title, accent, bold=True, pixels=theme.LARGE_PX)
        text = "\n".join(question.lines)
        if text != self.lines.text():
            self.lines.show_text(text)
            self._place()

    def cancel(self) -> None:
        if self.question is not None:
            self._end("")

    def _make_buttons(self, question: Question) -> None:
        while (item := self._row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.buttons = {"": button(f"{question.safe}", lambda: self._end(""))}
        self.buttons[""].setToolTip("Escape")
        for choice in question.choices:
            self.buttons[choice.key] = button(choice.text, partial(self._end, choice.key), tone=choice.tone)
        many = len(question.choices) > 1
        self._row.setDirection(QBoxLayout.Direction.TopToBottom if many else QBoxLayout.Direction.LeftToRight)
        if not many:
            self._row.addStretch(1)
        for made in (*list(self.buttons.values())[1:], self.buttons[""]):
            self._row.addWidget(made)

    def _gate(self) -> None:
        question = self.question
        open_ = question is not None and self.typed.text().strip() == question.typed
        for key, made in self.buttons.items():
            if key:
                made.setEnabled(open_)

    def _end(self, choice: str) -> None:
        question, self.question = self.question, None
        self.hide()
        if self._returns_to is not None and self._returns_to.isVisible():
            self._returns_to.setFocus()
        if question is not None:
            self.answered.emit(question.key, choice)

    def focusNextPrevChild(self, next: bool) -> bool:
        made = list(self.buttons.values())
        return next_inside([self.typed, *made[1:], *made[:1]], forward=next)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self._end("")
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            click_focused(self)
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        parent = self.parentWidget()
        assert parent is not None
        width = min(WIDTH_PX, parent.width() - 24)
        self.setFixedWidth(width)
        layout = self.layout()
        assert layout is not None
        layout.activate()
        height = max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())
        self.resize(width, height)
        self.move((parent.width() - width) // 2, 76)
