from nmt.api import Attention as Attention
from nmt.api import Candidate as Candidate
from nmt.api import Model as Model
from nmt.api import ScoredTranslation as ScoredTranslation
from nmt.api import Translation as Translation
from nmt.api import load as load
from nmt.api import train as train
from nmt.decoding.constrained.constraints import Constraints as Constraints
from nmt.decoding.sampling import Sampling as Sampling
from nmt.errors import UserError as UserError

__version__: str
