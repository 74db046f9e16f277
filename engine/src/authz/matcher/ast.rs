/// A matcher.
///
/// Expressions are equal when they mean the same, wherever their columns are.
#[derive(Clone, Debug)]
pub(crate) enum Expr {
    /// A string.
    Text(Box<str>),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `r.sub`, `p2.obj`, or an attribute of one: `r.sub.Owner`.
    Field {
        /// What stands before the first dot: `r` or `p`, with a number or without.
        root: Box<str>,
        /// The names that follow, at least one.
        path: Vec<Box<str>>,
        /// Where it begins.
        column: usize,
    },
    /// `name(arguments)`.
    Call {
        /// The function, as it is written.
        name: Box<str>,
        /// The arguments.
        arguments: Vec<Expr>,
        /// Where it begins.
        column: usize,
    },
    /// `!`.
    Not(Box<Expr>),
    /// `-`.
    Negate(Box<Expr>),
    /// `~`.
    BitNot(Box<Expr>),
    /// Two operands and what stands between them.
    Binary {
        /// The operator.
        operator: Operator,
        /// The left operand.
        left: Box<Expr>,
        /// The right operand.
        right: Box<Expr>,
        /// Where the operator is.
        column: usize,
    },
    /// `condition ? then : otherwise`.
    Conditional {
        /// What stands before the `?`.
        condition: Box<Expr>,
        /// What stands after it.
        then: Box<Expr>,
        /// What stands after the `:`.
        otherwise: Box<Expr>,
    },
    /// The right side of `in`.
    List(Vec<Expr>),
}

/// An operator with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    /// `&&`.
    And,
    /// `||`.
    Or,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `=~`.
    Matches,
    /// `!~`.
    NotMatches,
    /// `in`.
    In,
    /// `??`.
    Coalesce,
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `**`.
    Power,
    /// `&`.
    BitAnd,
    /// `|`.
    BitOr,
    /// `^`.
    BitXor,
    /// `<<`.
    ShiftLeft,
    /// `>>`.
    ShiftRight,
}

impl Operator {
    /// Every operator.
    pub(crate) const ALL: [Self; 23] = [
        Self::And,
        Self::Or,
        Self::Equal,
        Self::NotEqual,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Matches,
        Self::NotMatches,
        Self::In,
        Self::Coalesce,
        Self::Add,
        Self::Subtract,
        Self::Multiply,
        Self::Divide,
        Self::Modulo,
        Self::Power,
        Self::BitAnd,
        Self::BitOr,
        Self::BitXor,
        Self::ShiftLeft,
        Self::ShiftRight,
    ];

    /// How it is written.
    pub(crate) fn symbol(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
            Self::In => "in",
            Self::Coalesce => "??",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Power => "**",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::BitXor => "^",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }

    /// How tightly it binds. All of one level bind from the left, `**` too.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::Coalesce => 0,
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessOrEqual
            | Self::Greater
            | Self::GreaterOrEqual
            | Self::Matches
            | Self::NotMatches
            | Self::In => 3,
            Self::BitAnd | Self::BitOr | Self::BitXor => 4,
            Self::ShiftLeft | Self::ShiftRight => 5,
            Self::Add | Self::Subtract => 6,
            Self::Multiply | Self::Divide | Self::Modulo => 7,
            Self::Power => 8,
        }
    }

    /// Whether a chain of it is written without inner parentheses.
    pub(super) fn is_chained(self) -> bool {
        matches!(self, Self::And | Self::Or)
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => own == other,
            (Self::Number(own), Self::Number(other)) => own == other,
            (Self::Bool(own), Self::Bool(other)) => own == other,
            (
                Self::Field { root, path, .. },
                Self::Field {
                    root: other_root,
                    path: other_path,
                    ..
                },
            ) => root == other_root && path == other_path,
            (
                Self::Call {
                    name, arguments, ..
                },
                Self::Call {
                    name: other_name,
                    arguments: other_arguments,
                    ..
                },
            ) => name == other_name && arguments == other_arguments,
            (Self::Not(own), Self::Not(other))
            | (Self::Negate(own), Self::Negate(other))
            | (Self::BitNot(own), Self::BitNot(other)) => own == other,
            (
                Self::Binary {
                    operator,
                    left,
                    right,
                    ..
                },
                Self::Binary {
                    operator: other_operator,
                    left: other_left,
                    right: other_right,
                    ..
                },
            ) => operator == other_operator && left == other_left && right == other_right,
            (
                Self::Conditional {
                    condition,
                    then,
                    otherwise,
                },
                Self::Conditional {
                    condition: other_condition,
                    then: other_then,
                    otherwise: other_otherwise,
                },
            ) => condition == other_condition && then == other_then && otherwise == other_otherwise,
            (Self::List(own), Self::List(other)) => own == other,
            _ => false,
        }
    }
}
